// What is said to the system's sign-in broker and what it says: an entry of its own, which is loaded with the broker's
// runtime. It shares nothing with the main one but types.

export { brokerError, isUserSwitched, noAccount } from "./broker/errors";
export { accountOf, isFromCache, parametersOf, resultOf } from "./broker/messages";
