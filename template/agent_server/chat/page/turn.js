/** Shows the output of a run as it arrives. */

import { Failure } from "./api.js";
import { Approval } from "./approvals.js";
import { Thought, cite, noteOn } from "./asides.js";
import { Answer, ToolCall, markIncomplete } from "./messages.js";
import { t } from "./words.js";

/** The user stopped the run, here or elsewhere. */
export class Stopped extends Error {}

export class Turn {
  #parts = new Map(); // by the id of the message or the call, in the order they came

  /** `place` puts a new element where it belongs; `note` says what the turn is waiting for. */
  constructor(place, note) {
    Object.assign(this, { place, note });
  }

  /** Show an event; throws Stopped if the run was stopped, and a Failure if it failed. */
  take({ type, item, item_id, delta, annotation, response }) {
    this.note(type === "response.queued" ? t("queued") : "");
    if (type === "response.in_progress") this.#keep(response.output);
    if (type === "response.output_text.delta") this.#part(item_id, Answer).add(delta);
    if (type === "response.reasoning_summary_text.delta") this.#part(item_id, Thought).add(delta);
    if (annotation) cite(this.#part(item_id, Answer).element, annotation);
    if (item) this.#takeItem(item, type === "response.output_item.done");
    if (["response.completed", "response.incomplete"].includes(type)) this.#noteOn(response);
    if (type === "response.cancelled" || response?.error?.code === "stopped") throw new Stopped();
    if (type === "response.failed") throw new Failure(response.error.message);
  }

  /** Show all of the output and return its text; `complete` is false if there should be more. */
  end(complete) {
    const parts = [...this.#parts.values()];
    const answers = parts.filter((part) => part instanceof Answer);
    for (const answer of answers) answer.show();
    for (const part of parts) if (part.output === null) part.returned(null);
    if (!complete && parts.length) markIncomplete(parts.at(-1).element);
    return answers.map((answer) => answer.text).join("\n");
  }

  /** Show an item that is not text. What else stands beside an answer has its place here. */
  #takeItem(item, done) {
    if (item.type === "function_call") {
      this.#part(item.call_id, ToolCall, item.name).called(item.arguments);
      if (done) this.note(t("using", { tool: item.name }));
    }
    if (item.type === "mcp_approval_request") this.#part(item.id, Approval, item);
    if (item.type === "function_call_output" && done) {
      this.#part(item.call_id, ToolCall, "tool").returned(item.output);
    }
  }

  #noteOn(response) {
    const note = noteOn(response);
    if (note) this.place(note);
  }

  /** Remove all but this output, from which another process continues the run. */
  #keep(output) {
    const kept = new Set(output.map((item) => item.call_id ?? item.id));
    for (const [id, part] of this.#parts) {
      if (kept.has(id)) continue;
      part.element.remove();
      this.#parts.delete(id);
    }
  }

  #part(id, Part, ...details) {
    if (!this.#parts.has(id)) {
      const part = new Part(...details);
      this.#parts.set(id, part);
      this.place(part.element);
    }
    return this.#parts.get(id);
  }
}
