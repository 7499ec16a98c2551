// What every page of somebody who is signed in runs. Nothing needs it: pages work without scripts.
import { enhanceActs } from "./acts.js";
import { followChanges } from "./live.js";
import { enhanceMenus } from "./menus.js";
import { sendKept } from "./watch/sending.js";

followChanges();
enhanceActs();
enhanceMenus();
sendKept();
