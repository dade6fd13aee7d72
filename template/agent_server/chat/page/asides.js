/** What stands beside an answer: the model's reasoning, its sources, and a quiet line. */

import { element } from "./dom.js";
import { t } from "./words.js";

const REASONS = ["max_output_tokens", "content_filter", "max_steps"];

/** What the model thought, collapsed. */
export class Thought {
  #text = element("pre", { tabindex: 0, "aria-label": t("reasoning") });

  constructor() {
    const summary = element("summary", {}, element("span", { class: "quiet" }, t("reasoning")));
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
  if (!list) answer.append((list = element("ol", { class: "sources", "aria-label": t("sources") })));
  const link = { href: url, target: "_blank", rel: "noopener noreferrer" };
  list.append(element("li", {}, element("a", link, title || url)));
}

/** Return a line for what the model did not see, and for why it ended early, if there is any. */
export function noteOn({ custom_outputs, incomplete_details }) {
  const lines = [];
  const why = incomplete_details?.reason;
  if (incomplete_details) lines.push(t(REASONS.includes(why) ? why : "ended_early"));
  for (const what of ["left_out", "files_left_out"]) {
    const count = custom_outputs?.[what];
    if (count) lines.push(t(what, { count }));
  }
  return lines.length && element("li", { class: "quiet aside" }, lines.join(" "));
}
