/** What stands beside an answer: the model's reasoning, its sources, and a quiet line. */

import { element } from "./dom.js";

const REASONS = {
  max_output_tokens: "The answer reached its limit and ends here.",
  content_filter: "The model's provider filtered the rest.",
  max_steps: "The agent stopped: this took too many steps.",
};

/** What the model thought, collapsed. */
export class Thought {
  #text = element("pre", { tabindex: 0, "aria-label": "Reasoning" });

  constructor() {
    const summary = element("summary", {}, element("span", { class: "quiet" }, "Reasoning"));
    this.element = element("li", { class: "tool" }, element("details", {}, summary, this.#text));
  }

  /** Append a piece of it. */
  add(delta) {
    this.#text.append(delta);
  }
}

/** Append a source to an answer's list of links; what is no web address is left out. */
export function cite(answer, { url, title }) {
  if (!/^https?:\/\//i.test(url ?? "")) return;
  let list = answer.querySelector(".sources");
  if (!list) answer.append((list = element("ol", { class: "sources", "aria-label": "Sources" })));
  const link = { href: url, target: "_blank", rel: "noopener noreferrer" };
  list.append(element("li", {}, element("a", link, title || url)));
}

/** Return a line for what the model did not see, and for why it ended early, if there is any. */
export function noteOn({ custom_outputs, incomplete_details }) {
  const lines = [];
  if (incomplete_details) lines.push(REASONS[incomplete_details.reason] ?? "It ended early.");
  const left = custom_outputs?.left_out;
  if (left) lines.push(`The model did not see the first ${left} messages of this conversation.`);
  return lines.length && element("li", { class: "quiet aside" }, lines.join(" "));
}
