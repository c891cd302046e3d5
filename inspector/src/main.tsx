// The inspector that the admin listener shows at /: what an operator sees of a running server.
//
// Owns the page only. Everything shown comes from /api/ of the same listener (api.ts), once or twice a second while the page is seen.
// Its policy is default-src 'self': no inline style or script, no other origin.
// `npm run dev --workspace inspector` serves it from its sources, beside a server whose admin listener is on port 3002.

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { language } from "./texts";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/lists.css";
import "./styles/dialog.css";

document.documentElement.lang = language;

const root = document.getElementById("root");
if (!root) throw new Error("index.html has an element #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
