/** One message on the page: what the user said, an answer, a tool call. */

import { element } from "./dom.js";
import { showMarkdown } from "./markdown.js";

const named = (name) => element("span", { class: "unseen" }, name);

/** Return what the user said. */
export function userMessage(text) {
  return element("li", { class: "user" }, named("You said:"), element("div", { class: "bubble" }, text));
}

/** An answer, which may still be growing. */
export class Answer {
  text = "";
  #due = 0;

  constructor() {
    this.body = element("div", { class: "markdown" });
    this.element = element("li", { class: "assistant" }, named("The agent said:"), this.body);
  }

  /** Append a piece of text; it is drawn with the next frame. */
  add(delta) {
    this.text += delta;
    this.#due ||= requestAnimationFrame(() => this.show());
  }

  /** Draw what there is. */
  show() {
    cancelAnimationFrame(this.#due);
    this.#due = 0;
    showMarkdown(this.body, this.text);
    return this;
  }
}

/** A tool call: closed, it names the tool; open, it shows the arguments and the result. */
export class ToolCall {
  constructor(name) {
    this.state = element("span", { class: "state" }, "running");
    this.input = element("pre", { tabindex: 0, "aria-label": "Arguments" });
    this.output = element("pre", { tabindex: 0, "aria-label": "Result" }, "…");
    const parts = ["Arguments", this.input, "Result", this.output].map((part) =>
      typeof part === "string" ? element("h3", {}, part) : part,
    );
    const summary = element("summary", {}, element("code", {}, name), this.state);
    this.details = element("details", { class: "running" }, summary, ...parts);
    this.element = element("li", { class: "tool" }, this.details);
  }

  /** Show the arguments, as JSON text. */
  called(text) {
    this.input.textContent = indented(text);
  }

  /** Show the result; null when the run ended before it came. */
  returned(output) {
    this.details.className = "";
    this.state.textContent = output === null ? "no result" : "done";
    this.output.textContent = output === null ? "The run ended before there was one." : indented(output);
  }
}

/** Return the element of a message of the history. */
export function toElement({ role, content }) {
  if (role === "user") return userMessage(content);
  if (role === "assistant") return Object.assign(new Answer(), { text: content }).show().element;
  const tool = JSON.parse(content);
  const call = new ToolCall(tool.name);
  call.called(tool.arguments);
  call.returned(tool.output);
  return call.element;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
