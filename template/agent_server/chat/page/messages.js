/** Messages as elements: what the user said, an answer, a tool call. */

import { Approval, decision } from "./approvals.js";
import { cite } from "./asides.js";
import { element } from "./dom.js";
import { indented } from "./indented.js";
import { showMarkdown } from "./rendering.js";
import { t } from "./words.js";

const REST = 3; // times as long as it took to show an answer, before it is shown again

// Only these become pictures, and only from the message itself: nothing else is loaded.
const PICTURE = /^data:image\/(png|jpe?g|gif|webp);base64,/i;

const row = (kind, speaker, ...body) =>
  element("li", { class: kind }, element("span", { class: "unseen" }, speaker), ...body);

/** Return a user's message as an element, which has its `files` as the AI SDK's parts. */
export function userMessage(text, files = []) {
  const bubble = element("div", { class: "bubble", dir: "auto" }, text);
  bubble.hidden = !text;
  const made = row("user", t("you_said"), ...files.map(toFile), bubble);
  return Object.assign(made, { files, said: text, earlier: 0, liked: null });
}

/** Return what to send of a user's message. */
export function toBody(text, files) {
  const parts = [{ type: "text", text }, ...files];
  return files.length ? { messages: [{ role: "user", parts }] } : { message: text };
}

function toFile({ url, mediaType, filename }) {
  if (PICTURE.test(url)) return element("img", { src: url, alt: filename || t("image") });
  const name = filename || (url.startsWith("data:") ? mediaType : url);
  return element("div", { class: "file" }, name);
}

/** An answer, which may still be growing. */
export class Answer {
  text = "";
  body = element("div", { class: "markdown" });
  element = row("assistant", t("agent_said"), this.body);
  #due = 0;
  #rested = 0; // when it may be shown again

  /** Append a piece of text, which is shown in one of the next frames. */
  add(delta) {
    this.element.markdown = this.text += delta;
    this.#due ||= this.#later();
  }

  /** Show the text so far; what takes longer than the frame that began at `now` follows later. */
  show(now = performance.now()) {
    cancelAnimationFrame(this.#due);
    const whole = showMarkdown(this.body, this.text, now);
    const end = performance.now();
    // Most of the time is the user's: the longer this took, the longer more text waits.
    this.#rested = whole ? end + REST * (end - now) : 0;
    this.#due = whole ? 0 : this.#later();
  }

  #later() {
    return requestAnimationFrame((now) => {
      if (now < this.#rested) this.#due = this.#later();
      else this.show(now);
    });
  }
}

/** A tool call: collapsed, it names the tool; expanded, it shows the arguments and the result. */
export class ToolCall {
  output = null;
  #state = element("span", { class: "quiet" }, t("tool_running"));
  #arguments = element("pre", { tabindex: 0, "aria-label": t("arguments") });
  #result = element("pre", { tabindex: 0, "aria-label": t("result") }, "…");

  constructor(name) {
    const heading = (text) => element("h2", {}, text);
    const summary = element("summary", {}, element("code", {}, name), this.#state);
    const parts = [heading(t("arguments")), this.#arguments, heading(t("result")), this.#result];
    this.element = element("li", { class: "tool" }, element("details", {}, summary, ...parts));
  }

  /** Show the arguments, which the model wrote as JSON. */
  called(text) {
    this.#arguments.textContent = indented(text);
  }

  /** Show the result; null when the run ended before there was one. */
  returned(output) {
    this.output = output;
    const missing = output === null;
    this.#state.textContent = t(missing ? "tool_without" : "tool_done");
    this.#result.textContent = missing ? t("tool_ended") : indented(output);
  }
}

/** Return stored messages as elements with their ids, which may fill with text in later frames. */
export function toElements(messages) {
  const now = performance.now();
  return messages.map((message) => toElement(message, now));
}

function toElement({ id, role, content, files, partial, sources, earlier, liked }, now) {
  const makes = { user: userMessage, assistant: toAnswer, tool: toToolCall };
  const made = makes[role](content, role === "user" ? files : now);
  made.dataset.id = id;
  Object.assign(made, { earlier: earlier ?? 0, liked: liked ?? null });
  for (const source of sources) cite(made, source);
  if (partial) markIncomplete(made);
  return made;
}

/** Say below a message that it is incomplete. */
export function markIncomplete(message) {
  message.append(element("p", { class: "quiet" }, t("incomplete")));
}

function toAnswer(text, now) {
  const answer = new Answer();
  answer.text = answer.element.markdown = text;
  answer.show(now);
  return answer.element;
}

function toToolCall(content) {
  const stored = JSON.parse(content);
  if ("approve" in stored) return decision(stored);
  if (stored.approval) return new Approval({ ...stored, id: stored.approval }).element;
  const { name, arguments: given, output } = stored;
  const call = new ToolCall(name);
  call.called(given);
  call.returned(output);
  return call.element;
}
