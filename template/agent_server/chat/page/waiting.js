/** The line below a growing answer: that somebody is at work, on what, and for how long. */

import { element } from "./dom.js";
import { t } from "./words.js";

const QUIET = 3; // seconds, before they are shown

export class Waiting {
  #text = element("span");
  #time = element("span", { class: "time" });
  element = element("li", { class: "waiting", "aria-label": t("working") }, this.#text, this.#time);
  #begun = Date.now();
  #clock = setInterval(() => this.#show(), 1000);

  /** Say what the answer is waiting for; nothing is said of an empty text. */
  note(text) {
    this.#text.textContent = text;
  }

  /** Count from now on: something has just come. */
  restart() {
    this.#begun = Date.now();
    this.#show();
  }

  /** Remove it. */
  end() {
    clearInterval(this.#clock);
    this.element.remove();
  }

  #show() {
    const seconds = Math.floor((Date.now() - this.#begun) / 1000);
    this.#time.textContent = seconds < QUIET ? "" : t("seconds", { seconds });
  }
}
