/** The events of a run, from the Responses API. */

import { Failure, SessionEnded, getPage, request } from "./api.js";
import { t } from "./words.js";

const ENDS = ["completed", "failed", "incomplete", "cancelled"].map((end) => `response.${end}`);
// Milliseconds; in total as long as a restart may take.
const PAUSES = [300, 700, 1000, 2000, 4000, 8000, 8000, 8000];
const STOP_PAUSE = 400; // milliseconds between tries to stop what may not have begun

/** A run in a chat, as far as it is known: its response's id, and the last event's number. */
export class Run {
  last = -1;
  ended = false;
  missed = false; // it ended while nobody read it: its answer is stored

  constructor(chat, id = null) {
    Object.assign(this, { chat, id });
  }

  /** Yield the events of the response that `open` requests; resumes it when the connection fails. */
  async *events(open, onLost) {
    for (let failures = 0; ; failures += 1) {
      let lost = new Failure(t("lost"));
      try {
        const response = await open(this);
        this.missed = response.status === 204;
        if (this.missed) return;
        for await (const event of parse(response)) {
          failures = 0;
          this.id ??= event.response?.id;
          this.last = event.sequence_number;
          this.ended = ENDS.includes(event.type);
          yield event;
        }
      } catch (error) {
        if (!(error instanceof Failure) || error instanceof SessionEnded) throw error;
        this.missed = Boolean(this.id) && error.status === 404; // its chat was deleted
        if (this.missed) return;
        if (error.status < 500 || !this.id) throw error;
        lost = error;
      }
      if (this.ended) return;
      if (!this.id || failures === PAUSES.length) throw lost;
      onLost();
      await pause(PAUSES[failures]);
      open = () => this.resume();
    }
  }

  /** Return the response that continues after the last event. */
  resume() {
    const query = `response_id=${this.id}&starting_after=${this.last}`;
    return request("GET", `api/chats/${this.chat}/answer?${query}`, { accept: "text/event-stream" });
  }

  /** Ask the server to stop the run, which its events then tell, even before it has begun. */
  async stop() {
    do {
      const path = `api/chats/${this.chat}/stop`;
      if (this.id || (await this.#isStored())) await request("POST", path, { body: {} });
      if (this.id || this.ended) return;
      await pause(STOP_PAUSE);
    } while (!this.ended);
  }

  /** Whether the server has the chat by now: that of a first question may be on its way. */
  async #isStored() {
    const { items } = await getPage("api/chats?limit=30");
    return items.some(({ id }) => id === this.chat);
  }
}

/** Wait, but not longer than until the browser is online again. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    window.addEventListener("online", resolve, { once: true });
  });
}

async function* parse(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await read(reader); !part.done; part = await read(reader)) {
    const blocks = (rest + part.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch {
    throw new Failure(t("lost"));
  }
}
