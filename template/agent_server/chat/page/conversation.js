/** One conversation: its messages, and the run that answers the last of them. */

import { Failure, getLatest, getPage, isAnswered, request } from "./api.js";
import { announce, attempt, element, trouble } from "./dom.js";
import { toBody, toElements, userMessage } from "./messages.js";
import { Run } from "./stream.js";
import { STOPPED, Turn } from "./turn.js";

export class Conversation {
  list = element("ol", { class: "messages" });
  run = null;

  /**
   * A new conversation has no `id`; one with an id must be loaded first. `changed` is called with
   * this when it gets an id, and before and after each run. Nothing is sent until `known` resolves,
   * when `me` is filled.
   */
  constructor(id, me, known, changed) {
    Object.assign(this, { id, me, known, loaded: !id, changed: () => changed(this) });
    // Chosen here, so that a retry finds what a failed try stored. Browsers offer randomUUID only
    // on localhost and https; elsewhere the server chooses.
    this.wanted = id ?? crypto.randomUUID?.();
  }

  get #messages() {
    return `api/chats/${this.wanted}/messages`;
  }

  /** The questions shown here. */
  get #asked() {
    return [...this.list.querySelectorAll(".user")];
  }

  /** Show the latest messages, and follow a run that has continued without a reader. */
  async load() {
    const { items, next, responseId } = await getLatest(this.#messages);
    this.list.replaceChildren(...toElements(items));
    this.loaded = true;
    this.#offerEarlier(next);
    const last = items.at(-1);
    const asked = last?.role === "user";
    if (responseId && last) {
      delete this.#removeAnswer()?.dataset.id; // both are stored anew, if it was asked again
      await this.#answer(new Run(true, responseId), (run) => run.resume());
    } else if (last?.partial) this.#offerRetry("It was stopped, or something failed.");
    else if (asked) this.#offerRetry("There is no answer to this.");
  }

  /** Send a message, and show what comes back. */
  async send(message, trigger = "submit-message", files = []) {
    for (const offer of this.list.querySelectorAll(".offer")) offer.remove();
    this.list.append(userMessage(message, files));
    await this.#answer(new Run(), async (run) => {
      const { signal } = run;
      await run.unlessStopped(this.known);
      run.background = this.me.background;
      const body = { chatId: this.wanted, ...toBody(message, files), trigger };
      const accept = "text/event-stream";
      const response = await request("POST", "api/chat", { body, accept, signal });
      this.id = this.wanted = response.headers.get("X-Chat-Id");
      this.changed();
      return response;
    });
  }

  async #answer(run, open) {
    const waiting = element("li", { class: "waiting", "aria-label": "Working" });
    const turn = new Turn((made) => waiting.before(made), (text) => (waiting.textContent = text));
    this.list.append(waiting);
    this.run = run;
    this.changed();
    announce("The agent is answering.");
    let problem = null;
    try {
      for await (const event of run.events(open)) turn.take(event);
    } catch (error) {
      if (!(error instanceof Failure) && !run.signal.aborted) throw error;
      problem = run.signal.aborted ? STOPPED : error.message;
    } finally {
      waiting.remove();
      this.run = null;
      const said = turn.end(!problem);
      if (this.list.isConnected) announce(said);
      if (problem) this.#offerRetry(problem);
      this.changed();
    }
  }

  /** Remove all below the last question, and return the question. */
  #removeAnswer() {
    const asked = this.#asked.at(-1);
    while (asked?.nextSibling) asked.nextSibling.remove();
    return asked;
  }

  #offerRetry(sentence) {
    const asked = this.#asked.at(-1);
    const retry = async () => {
      offer.remove(); // so that it can't be pressed twice
      const ids = this.#asked.map(({ dataset }) => dataset.id);
      const known = ids.findLast(Boolean) ?? "";
      const page = await this.#latest(({ id }) => id === known);
      const answered = isAnswered(page.items, ids, known);
      if ((this.me.background && page.responseId) || answered) return this.load();
      this.list.closest("main").focus();
      const text = asked.querySelector(".bubble").textContent;
      const trigger = await this.#triggerOf(text, asked.nextSibling !== null, page);
      this.#removeAnswer().remove();
      await this.send(text, trigger, asked.files);
    };
    const offer = element("li", { class: "offer" }, trouble(sentence, "Retry", retry));
    this.list.append(offer);
  }

  /** Return how to ask again: in place of the last question, if the server has stored it. */
  async #triggerOf(text, answered, { items }) {
    for (let tries = 0; ; tries += 1) {
      const last = items.at(-1);
      const asked = items.findLast(({ role }) => role === "user")?.content;
      if (asked !== text || !(last.partial || last.role === "user")) return "submit-message";
      // The output of a stopped run is stored shortly after the stop.
      if (last.partial || !answered || tries === 10) return "regenerate-message";
      await new Promise((resolve) => setTimeout(resolve, 300));
      ({ items } = await this.#latest());
    }
  }

  /** Return what `getLatest` does; no messages if that fails. */
  #latest(begins) {
    return getLatest(this.#messages, begins).catch(() => ({ items: [] }));
  }

  #offerEarlier(next) {
    if (!next) return;
    const place = element("div");
    const show = async () => {
      const { items, next: further } = await getPage(next);
      const scroller = this.list.closest("main");
      const below = scroller.scrollHeight - scroller.scrollTop;
      row.replaceWith(...toElements(items));
      this.#offerEarlier(further);
      scroller.scrollTop = scroller.scrollHeight - below;
      scroller.focus({ preventScroll: true });
    };
    const button = { type: "button", class: "plain", click: () => attempt(place, show) };
    const label = "Show earlier messages";
    const row = element("li", { class: "earlier" }, element("button", button, label), place);
    this.list.prepend(row);
  }
}
