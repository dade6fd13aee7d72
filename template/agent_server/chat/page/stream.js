/** The events of a run, from the Responses API. */

import { Failure, request } from "./api.js";

const ENDS = ["completed", "failed", "incomplete", "cancelled"].map((end) => `response.${end}`);
const LOST = "The connection was lost before the answer was complete.";
// Milliseconds; in total as long as a restart may take.
const PAUSES = [500, 1000, 2000, 4000, 8000, 8000, 8000];

/** A run, as far as it is known: its response's id, and the number of the last event received. */
export class Run {
  id = null;
  last = -1;
  ended = false;
  #stopped = new AbortController();
  #wanted = false; // whether to stop it as soon as its id is known
  signal = this.#stopped.signal;

  /** `background`: the run continues without a reader, and can be followed again. */
  constructor(background = false, id = null) {
    this.background = background;
    this.id = id;
  }

  /** Wait for a promise; throws an AbortError if the run is stopped first. */
  async unlessStopped(promise) {
    const stopped = new Promise((_, reject) => {
      this.signal.addEventListener("abort", () => reject(this.signal.reason));
    });
    await Promise.race([promise, stopped]);
    this.signal.throwIfAborted();
  }

  /** Yield the events of the response that `open` requests; resumes a background run if cut off. */
  async *events(open) {
    for (let failures = 0; ; failures += 1) {
      let lost = new Failure(LOST);
      try {
        for await (const event of parse(await open(this))) {
          failures = 0;
          this.id ??= event.response?.id;
          this.last = event.sequence_number;
          this.ended = ENDS.includes(event.type);
          yield event;
          if (this.#wanted && !this.ended) await this.stop();
        }
      } catch (error) {
        if (this.signal.aborted || error.status < 500) throw error;
        if (error instanceof Failure) lost = error;
      }
      if (this.ended) return;
      if (!this.background || !this.id || failures === PAUSES.length) throw lost;
      await new Promise((resolve) => setTimeout(resolve, PAUSES[failures]));
      open = () => this.resume();
    }
  }

  /** Return the response that continues after the last event. */
  resume() {
    const from = this.last < 0 ? "" : `&starting_after=${this.last}`;
    const options = { accept: "text/event-stream", signal: this.signal };
    return request("GET", `responses/${this.id}?stream=true${from}`, options);
  }

  /** Stop the run, and stop reading it; a run that has just ended is read to its end. */
  async stop() {
    this.#wanted = this.background && !this.id;
    if (this.#wanted) return;
    if (this.background) {
      const response = await request("POST", `responses/${this.id}/cancel`, { body: {} });
      if ((await response.json()).status !== "cancelled") return;
    }
    this.#stopped.abort();
  }
}

async function* parse(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (rest + part.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
