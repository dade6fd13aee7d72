/** Loads what shows Markdown with the first message: an empty page does not need it. */

import { Failure } from "./api.js";
import { t } from "./words.js";

let loading = null;
let markdown = null;

/** Load it, unless it is loaded; throws a Failure. */
export function ready() {
  loading ??= import("./markdown.js").then(
    (loaded) => (markdown = loaded),
    () => {
      loading = null; // so that another try loads it again
      throw new Failure(t("unreachable"));
    },
  );
  return loading;
}

/** Load it in advance: somebody has begun to write, or is waiting for an answer. */
export const prepare = () => void ready().catch(() => {}); // whoever needs it says so

/** Load it while `open` waits for an answer; return what waits for both. */
export function preparing(open) {
  prepare();
  return async () => {
    const response = await open();
    await ready();
    return response;
  };
}

/** As markdown.js does it, once that is loaded. */
export const showMarkdown = (...what) => markdown.showMarkdown(...what);
