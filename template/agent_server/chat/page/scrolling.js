/** Keeps the end of a growing answer in view, unless the user has scrolled away from it. */

import { $ } from "./dom.js";
import { t } from "./words.js";

const NEAR = 80; // pixels from the end
const scroller = $("scroller");
let atEnd = true;
let height = 0;

/** Show the end from now on. */
export function toEnd() {
  atEnd = true;
  keepAtEnd();
}

/** Keep the end in view while `content` grows. */
export function follow(content) {
  new ResizeObserver(keepAtEnd).observe(content);
}

function keepAtEnd() {
  if (atEnd) scroller.scrollTo(0, scroller.scrollHeight);
  else if (scroller.scrollHeight > height) $("jump").textContent = `↓ ${t("new_text")}`;
  height = scroller.scrollHeight;
  $("jump").hidden = atEnd;
}

scroller.addEventListener("scroll", () => {
  atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
  if ($("jump").hidden) $("jump").textContent = `↓ ${t("to_end")}`;
  $("jump").hidden = atEnd;
});
$("jump").addEventListener("click", () => {
  toEnd();
  scroller.focus();
});
