// Runs on every page of a signed-in user. Nothing depends on it: pages work without scripts.
import { enhanceActs } from "./acts.js";
import { followChanges } from "./live.js";
import { enhanceMenus } from "./menus.js";
import { sendKept } from "./watch/sending.js";

followChanges();
enhanceActs();
enhanceMenus();
sendKept();
