// The name of an error.

/** Sets the name, also where the program has frozen `Error.prototype`, so that an assignment fails. */
export function setName(error: Error, name: string): void {
  Object.defineProperty(error, "name", { value: name, configurable: true, enumerable: true, writable: true });
}
