/** The version of this package; a test keeps it equal to package.json's, which reading at run time would cost. */
export const VERSION = "0.1.0";
