/** The page's words, in the language that its owner chose. */

import texts from "./texts.js";

/** Return a text; values take the place of their names in braces. */
export const t = (name, values = {}) =>
  texts[name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
