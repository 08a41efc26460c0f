// The members of an object that a program gives.

/**
 * A copy of the object with its own members and those of its class, but none of `Object.prototype`: code with a prototype
 * pollution fault must not choose a weaker store or another key.
 */
export function membersOf<T extends object>(given: T): T {
  const members: Record<string, unknown> = Object.create(null);
  for (let one: object = given; ; ) {
    const next: object | null = Object.getPrototypeOf(one);
    if (next === null && one !== given) {
      return members as T;
    }
    for (const name of Object.getOwnPropertyNames(one)) {
      if (!(name in members)) {
        members[name] = (given as Record<string, unknown>)[name];
      }
    }
    if (next === null) {
      return members as T;
    }
    one = next;
  }
}
