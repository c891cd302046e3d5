/** Where the list and the conversation take turns; the style sheets say the same width. */
export const phone = matchMedia("(width < 48rem)");
