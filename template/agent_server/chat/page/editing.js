/** Editing the last question in its place. */

import { element } from "./dom.js";
import { showLast } from "./versions.js";
import { t } from "./words.js";

/** Let the user write another question in place of the last one. */
export function edit(conversation, question = conversation.asked.at(-1)) {
  if (conversation.run || !question?.said || question.querySelector("form")) return;
  showLast(conversation);
  const box = element("textarea", { "aria-label": t("edit_label"), dir: "auto", rows: 3 });
  const bubble = question.querySelector(".bubble");
  const bar = question.querySelector(":scope > .actions");
  const end = () => {
    form.remove();
    bubble.hidden = bar.hidden = false;
    bar.querySelector(".rename")?.focus();
  };
  const send = (event) => {
    event.preventDefault();
    if (box.value.trim()) conversation.replaceLast(box.value.trim());
  };
  const cancel = { type: "button", class: "plain", click: end };
  const buttons = [element("button", cancel, t("cancel")), element("button", {}, t("send"))];
  const form = element("form", { class: "editing", submit: send }, box);
  form.append(element("div", { class: "buttons" }, ...buttons));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") end();
    else if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target !== box) return;
    else send(event);
    event.stopPropagation();
  });
  box.value = question.said;
  bubble.hidden = bar.hidden = true;
  question.append(form);
  box.focus();
}
