/** Makes a bundler take the native addon into the bundle: `import "tokenkeep/embed"`. */

import "./embed.js";
