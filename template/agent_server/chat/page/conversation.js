/** One conversation: its messages, and the run that answers the last of them. */

import { dress } from "./actions.js";
import { Failure, getLatest, request } from "./api.js";
import { decide, settle } from "./approvals.js";
import { announce, element } from "./dom.js";
import { newId, questionOf } from "./ids.js";
import { toBody, toElements, userMessage } from "./messages.js";
import { askAgain, offerRetry, showUnsent } from "./offers.js";
import { offerEarlier } from "./paging.js";
import { preparing, ready } from "./rendering.js";
import { keep, kept } from "./storage.js";
import { Run } from "./stream.js";
import { Stopped, Turn } from "./turn.js";
import { showLast } from "./versions.js";
import { Waiting } from "./waiting.js";
import { t } from "./words.js";

export class Conversation {
  list = element("ol", { class: "messages" });
  run = null;

  /**
   * A new conversation has no `id`; one with an id must be loaded first. `changed` is called with
   * this when it gets an id, and before and after each run.
   */
  constructor(id, changed) {
    Object.assign(this, { id, loaded: !id, changed: () => changed(this) });
    this.list.addEventListener("decide", ({ detail }) => decide(this, detail));
    const unsent = kept(this.#unsent);
    // Chosen here, so that a retry finds what a failed try stored, even after a reload.
    this.wanted = id ?? unsent?.chat ?? newId();
    if (!id && unsent) showUnsent(this, unsent);
  }

  /** The path of its messages. */
  get messages() {
    return `api/chats/${this.wanted}/messages`;
  }

  /** The questions shown here. */
  get asked() {
    return [...this.list.querySelectorAll(".user:not(.old)")];
  }

  /** The name of what this browser keeps of a message that the server may not have. */
  get #unsent() {
    return `unsent ${this.id ?? "new"}`;
  }

  /** Show the latest messages, and follow a run that has continued without a reader. */
  async load(problem = null) {
    const [{ items, next, responseId }] = await Promise.all([getLatest(this.messages), ready()]);
    this.list.replaceChildren(...toElements(items));
    settle(this.list);
    this.loaded = true;
    offerEarlier(this, next);
    const last = items.at(-1);
    const unsent = kept(this.#unsent);
    if (responseId && last) {
      // Both are stored anew, if it was asked again; what was decided is no question.
      if (!this.list.lastChild.matches(".decision")) delete this.removeAnswer()?.dataset.id;
      const run = new Run(this.wanted, responseId);
      return this.answer(run, () => run.resume(), null, true, problem);
    }
    const asked = items.findLast(({ role }) => role === "user")?.content;
    if (unsent && asked !== unsent.text) showUnsent(this, unsent);
    else if (problem) offerRetry(this, problem);
    else if (last?.partial) offerRetry(this, new Failure(t("stopped_earlier")));
    else if (last?.role === "user") offerRetry(this, new Failure(t("unanswered")));
    dress(this);
  }

  /** Send a message, and show what comes back; `more` says what it is to replace, if anything. */
  async send(message, more = {}, files = []) {
    for (const offer of this.list.querySelectorAll(".offer")) offer.remove();
    showLast(this);
    this.list.append(userMessage(message, files));
    settle(this.list);
    keep(this.#unsent, { text: message, chat: this.wanted, more });
    const open = async () => {
      const body = { chatId: this.wanted, ...toBody(message, files), ...more };
      const response = await request("POST", "api/chat", { body, accept: "text/event-stream" });
      keep(this.#unsent, null);
      this.id = this.wanted;
      this.changed();
      return response;
    };
    const again = () => askAgain(this, message, more, files);
    await this.answer(new Run(this.wanted), open, again, Object.keys(more).length > 0);
  }

  /** Answer the last question anew, or another one in its place. */
  async replaceLast(text = null) {
    const asked = this.asked.at(-1);
    const edited = text !== null && text !== asked.said && asked.dataset.id;
    const more = edited ? { replaces: edited } : { trigger: "regenerate-message" };
    this.removeAnswer().remove();
    await this.send(text ?? asked.said, more, asked.files);
  }

  /** Remove all below the last question, and return the question. */
  removeAnswer() {
    const asked = this.asked.at(-1);
    while (asked?.nextSibling) asked.nextSibling.remove();
    return asked;
  }

  /** Show the output of a run, whose response `open` requests; `again` is what a retry does. */
  async answer(run, open, again, replaces, known = null) {
    const waiting = new Waiting();
    const turn = new Turn((made) => waiting.element.before(made), (text) => waiting.note(text));
    this.list.append(waiting.element);
    this.run = run;
    this.changed();
    dress(this);
    announce(t("answering"));
    const begin = preparing(open);
    let problem = known; // why it ended, if it is only being stored
    try {
      for await (const event of run.events(begin, () => waiting.note(t("reconnecting")))) {
        waiting.restart();
        turn.take(event);
      }
    } catch (error) {
      if (!(error instanceof Failure) && !(error instanceof Stopped)) throw error;
      problem = error;
    } finally {
      run.ended = true;
      waiting.end();
      this.run = null;
      const said = turn.end(!problem && !run.missed);
      if (this.list.isConnected) announce(said);
    }
    await this.#settle(run, problem, replaces, again);
    this.changed();
  }

  /** Show what has become of a run, once its events have ended. */
  async #settle(run, problem, replaces, again) {
    if (run.missed || (replaces && run.id)) {
      // What is stored decides: a whole answer outlives an attempt to replace it.
      return this.load(problem).catch((failure) => offerRetry(this, failure, again));
    }
    if (run.id) this.asked.at(-1).dataset.id ??= questionOf(run.id);
    if (problem) offerRetry(this, problem, again);
    settle(this.list);
    dress(this);
  }
}
