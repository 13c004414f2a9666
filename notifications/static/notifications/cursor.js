/** The position in a cursor, `word-position`. NaN, neither before nor after anything, of none. */
export const positionOf = (cursor) => Number(cursor?.split("-")[1]);
