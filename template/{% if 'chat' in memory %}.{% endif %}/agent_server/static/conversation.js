/** One conversation: its messages, and the run that answers the last of them. */

import { Failure, getPage, request } from "./api.js";
import { announce, element, trouble } from "./dom.js";
import { Answer, ToolCall, toElement, userMessage } from "./messages.js";
import { Run } from "./stream.js";

export class Conversation {
  list = element("ol", { class: "messages" });
  run = null;

  /** `id` is null before the first answer; `changed` is called when the id or the run changes. */
  constructor(id, me, changed) {
    Object.assign(this, { id, me, changed: () => changed(this) });
  }

  /** Show the last messages, and take up a run that goes on without a reader. */
  async load() {
    const { items, next, responseId } = await getPage(`api/chats/${this.id}/messages`);
    this.list.replaceChildren(...items.map(toElement));
    this.#offerEarlier(next);
    const last = items.at(-1);
    if (responseId) await this.#answer(new Run(true, responseId), (run) => run.resume());
    else if (last?.partial) this.#offerRetry("This answer is incomplete.");
    else if (last && last.role !== "assistant") this.#offerRetry("There is no answer to this.");
  }

  /** Send a message, and show what comes back. */
  async send(text) {
    this.list.append(userMessage(text));
    await this.#post(text, "submit-message");
  }

  /** Stop the answer; what was said of it stays. */
  async stop() {
    await this.run?.stop().catch((failure) => announce(failure.message));
  }

  async #post(text, trigger) {
    const messages = [{ role: "user", parts: [{ type: "text", text }] }];
    await this.#answer(new Run(this.me.background), async (run) => {
      const body = { chatId: this.id ?? undefined, messages, trigger };
      const options = { body, accept: "text/event-stream", signal: run.stopped.signal };
      const response = await request("POST", "api/chat", options);
      this.id ??= response.headers.get("X-Chat-Id");
      this.changed();
      return response;
    });
  }

  async #answer(run, open) {
    const waiting = element("li", { class: "waiting" }, element("span", { class: "unseen" }, "Working"));
    this.list.append(waiting);
    this.run = run;
    this.changed();
    announce("The agent is answering.");
    const turn = new Turn((made) => waiting.before(made.element));
    try {
      for await (const event of run.events(await open(run))) turn.take(event);
      announce(turn.said());
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof Failure)) throw error;
      this.#offerRetry(error instanceof Failure ? error.message : "You stopped this answer.");
    } finally {
      waiting.remove();
      turn.end();
      this.run = null;
      this.changed();
    }
  }

  #offerRetry(sentence) {
    const asked = [...this.list.querySelectorAll(".user")].at(-1);
    const again = () => {
      while (asked.nextSibling) asked.nextSibling.remove();
      this.#post(asked.querySelector(".bubble").textContent, "regenerate-message");
    };
    this.list.append(element("li", {}, trouble(sentence, "Retry", again)));
  }

  #offerEarlier(next) {
    if (!next) return;
    const button = element("button", { type: "button", class: "plain" }, "Show earlier messages");
    const row = element("li", { class: "earlier" }, button);
    button.addEventListener("click", async () => {
      const page = await getPage(next);
      const scroller = this.list.closest("main");
      const below = scroller.scrollHeight - scroller.scrollTop;
      row.replaceWith(...page.items.map(toElement));
      this.#offerEarlier(page.next);
      scroller.scrollTop = scroller.scrollHeight - below;
    });
    this.list.prepend(row);
  }
}

/** What a run has produced so far, kept up with its events. */
class Turn {
  #answers = new Map();
  #calls = new Map();

  constructor(place) {
    this.place = place;
  }

  take(event) {
    const { type, item } = event;
    if (type === "response.output_text.delta") this.#answer(event.item_id).add(event.delta);
    else if (type === "response.failed") throw new Failure(event.response.error.message);
    else if (item?.type === "function_call") this.#call(item).called(item.arguments);
    else if (item?.type === "function_call_output" && type === "response.output_item.done") {
      this.#call(item).returned(item.output);
    }
  }

  said() {
    return [...this.#answers.values()].map((answer) => answer.text).join("\n");
  }

  end() {
    for (const answer of this.#answers.values()) answer.show();
    for (const call of this.#calls.values()) if (call.details.className) call.returned(null);
  }

  #answer(id) {
    return this.#keep(this.#answers, id, () => new Answer());
  }

  #call({ call_id: id, name }) {
    return this.#keep(this.#calls, id, () => new ToolCall(name));
  }

  #keep(kept, id, make) {
    if (!kept.has(id)) {
      kept.set(id, make());
      this.place(kept.get(id));
    }
    return kept.get(id);
  }
}
