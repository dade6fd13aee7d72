/** Calls of tools that wait for the user's yes, and what was decided. */

import { request } from "./api.js";
import { element } from "./dom.js";
import { indented } from "./indented.js";
import { Run } from "./stream.js";
import { t } from "./words.js";

/** A call that waits: its name, its arguments as text, and two buttons. */
export class Approval {
  constructor({ id, name, arguments: given }) {
    const said = element("p", {}, t("approval_asks", { tool: name }));
    const text = element("pre", { tabindex: 0, "aria-label": t("arguments") }, indented(given));
    const button = (label, approve) => {
      const click = () => {
        const detail = { id, approve };
        this.element.dispatchEvent(new CustomEvent("decide", { bubbles: true, detail }));
      };
      return element("button", { type: "button", class: approve ? "" : "plain", click }, label);
    };
    const buttons = element("div", { class: "choices" }, button(t("approve"), true));
    buttons.append(button(t("reject"), false));
    this.element = element("li", { class: "tool approval" }, said, text, buttons);
    this.element.approval = id;
  }
}

/** Return a line that says what the user decided. */
export function decision({ approval, approve }) {
  const line = t(approve ? "approved" : "rejected");
  const made = element("li", { class: "quiet aside decision" }, line);
  return Object.assign(made, { approval });
}

/** Approve a call that waits, or do not, and show what comes back. */
export async function decide(conversation, { id, approve }) {
  const chat = conversation.wanted;
  conversation.list.append(decision({ approval: id, approve }));
  settle(conversation.list);
  const body = { chatId: chat, approval: { id, approve } };
  const open = () => request("POST", "api/chat", { body, accept: "text/event-stream" });
  await conversation.answer(new Run(chat), open, () => conversation.load());
}

/** Take the buttons away from what is decided, was asked again below, or has had another answer. */
export function settle(list) {
  const decided = new Set([...list.querySelectorAll(".decision")].map((made) => made.approval));
  let closed = false; // by a message below
  for (const made of [...list.children].reverse()) {
    closed ||= made.matches(".user:not(.old)");
    if (!made.matches(".approval")) continue;
    if (closed || decided.has(made.approval)) made.querySelector(".choices")?.remove();
    decided.add(made.approval);
  }
}
