// The end of a removal that other servers outrun.
import { StoreError } from "../store-error";

/** How often a removal looks whether other servers have changed or added records meanwhile. */
export const LOOKS = 10;

/** The error of a removal that other servers outran. */
export function outrun(): StoreError {
  return new StoreError(
    "conflict",
    `Other servers wrote records of this user while they were removed, ${LOOKS} times. Some are left: erase again`,
  );
}
