/** All our elements, for any page that has some of them. */

import "./bell.js";
import "./center.js";
import "./device.js";
