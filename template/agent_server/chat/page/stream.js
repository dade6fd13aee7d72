/** The events of a run, from the Responses API. */

import { Failure, SessionEnded, request } from "./api.js";
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
        for await (const event of parse(await open(this))) {
          failures = 0;
          this.id ??= event.response?.id;
          this.last = event.sequence_number;
          this.ended = ENDS.includes(event.type);
          yield event;
        }
      } catch (error) {
        if (!(error instanceof Failure) || error instanceof SessionEnded) throw error;
        this.missed = Boolean(this.id) && error.status === 404;
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
      await request("POST", `api/chats/${this.chat}/stop`, { body: {} }).catch((failure) => {
        if (failure.status !== 404 || this.id) throw failure; // else the question is on its way
      });
      if (this.id || this.ended) return;
      await pause(STOP_PAUSE);
    } while (!this.ended);
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
