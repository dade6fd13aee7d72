/** Messages as elements: what the user said, an answer, a tool call. */

import { element } from "./dom.js";
import { showMarkdown } from "./markdown.js";

const row = (kind, speaker, body) =>
  element("li", { class: kind }, element("span", { class: "unseen" }, speaker), body);

/** Return a user's message as an element. */
export const userMessage = (text) =>
  row("user", "You said:", element("div", { class: "bubble" }, text));

/** An answer, which may still be growing. */
export class Answer {
  text = "";
  body = element("div", { class: "markdown" });
  element = row("assistant", "The agent said:", this.body);
  #due = 0;

  /** Append a piece of text, which is shown in the next frame. */
  add(delta) {
    this.text += delta;
    this.#due ||= requestAnimationFrame(() => this.show());
  }

  /** Show the text so far. */
  show() {
    cancelAnimationFrame(this.#due);
    this.#due = 0;
    showMarkdown(this.body, this.text);
  }
}

/** A tool call: collapsed, it names the tool; expanded, it shows the arguments and the result. */
export class ToolCall {
  output = null;
  #state = element("span", { class: "quiet" }, "running");
  #arguments = element("pre", { tabindex: 0, "aria-label": "Arguments" });
  #result = element("pre", { tabindex: 0, "aria-label": "Result" }, "…");

  constructor(name) {
    const heading = (text) => element("h3", {}, text);
    const summary = element("summary", {}, element("code", {}, name), this.#state);
    const parts = [heading("Arguments"), this.#arguments, heading("Result"), this.#result];
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
    this.#state.textContent = missing ? "no result" : "done";
    this.#result.textContent = missing ? "The run ended before it returned." : indented(output);
  }
}

/** Return a message of the history as an element. */
export function toElement({ role, content, partial }) {
  const made = { user: userMessage, assistant: toAnswer, tool: toToolCall }[role](content);
  if (partial) markIncomplete(made);
  return made;
}

/** Say below a message that it is incomplete. */
export function markIncomplete(message) {
  message.append(element("p", { class: "quiet" }, "This answer is incomplete."));
}

function toAnswer(text) {
  const answer = new Answer();
  answer.text = text;
  answer.show();
  return answer.element;
}

function toToolCall(content) {
  const { name, arguments: given, output } = JSON.parse(content);
  const call = new ToolCall(name);
  call.called(given);
  call.returned(output);
  return call.element;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
