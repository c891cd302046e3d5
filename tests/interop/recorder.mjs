// Notes what a page's conversation ever showed, from inside the page.
//
// One scan for each batch of changes to the document: every state that a person could have seen. A view is one
// conversation, open without a break. Odd are: an id twice at a time, an id that vanishes from its view, and a status that
// goes back, also over a reload or a break. The rest is for the test to judge; `rowcastSaw` takes it.
export function recorder() {
  // A page that could not be loaded has no storage, and shows nothing of ours.
  if (!location.protocol.startsWith("http")) return;
  const rank = { queued: 0, sent: 1, failed: 2, delivered: 3, read: 4 };
  const kept = "test:statuses";
  const statuses = new Map(JSON.parse(sessionStorage.getItem(kept) ?? "[]"));
  let view = { contact: null, ids: new Set() };

  function scan() {
    const contact = document.querySelector("main[data-contact]")?.dataset.contact ?? null;
    if (contact !== view.contact) view = { contact, ids: new Set() };
    const ids = new Set();
    const seen = [];
    for (const { dataset } of document.querySelectorAll("[role=log] li[data-id]")) {
      const { id, status } = dataset;
      if (ids.has(id)) seen.push({ odd: "twice at a time", contact, id });
      ids.add(id);
      const last = statuses.get(id);
      if (last === status) continue;
      if (rank[status] < rank[last]) seen.push({ odd: `${last} became ${status}`, contact, id });
      else seen.push({ status, contact, id });
      statuses.set(id, status);
    }
    for (const id of view.ids) if (!ids.has(id)) seen.push({ odd: "vanished", contact, id });
    view.ids = ids;
    if (seen.length > 0) window.rowcastSaw(seen);
  }

  addEventListener("pagehide", () => sessionStorage.setItem(kept, JSON.stringify([...statuses])));
  const attributeFilter = ["data-id", "data-status", "data-contact"];
  new MutationObserver(scan).observe(document, { attributeFilter, childList: true, subtree: true });
}
