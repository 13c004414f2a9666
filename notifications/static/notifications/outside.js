/** The number that is seen from outside: in the title, and on the icon of an installed site. */

export const MANY = 99; // beyond, people do not count

let prefix = ""; // of the title

export const capped = (n) => (n > MANY ? `${MANY}+` : n);

// Soon: it takes as long as a row, which is waited for.
export const showOutside = (unseen) =>
  setTimeout(() => {
    // The page may have given itself another title since.
    const title = document.title.replace(prefix, "");
    prefix = unseen ? `(${capped(unseen)}) ` : "";
    document.title = prefix + title;
    navigator.setAppBadge?.(unseen).catch(() => {}); // some refuse it until a site is installed
  });
