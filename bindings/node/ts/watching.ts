// Watching for changes of others: an entry of its own, which is loaded when a program begins to watch.

export { AccountWatcher } from "./plugin/watch/watcher";
