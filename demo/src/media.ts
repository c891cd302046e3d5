/** Where the list and the conversation take turns; the style sheets say the same width. */
export const phone = matchMedia("(width < 48rem)");
/** Where the focus in a text brings a keyboard up. */
export const touch = matchMedia("(pointer: coarse)");
