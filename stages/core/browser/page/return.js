// Sends a browser that came from another site here once more, with the sentence in the address.
"use strict";
location.reload();
