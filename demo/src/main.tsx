// The dashboard that the server shows at /: a list of conversations and one that is open, on @rowcast/client.
//
// Owns the page only. The list and the conversations come by the kit (useRoom, useConversationSocket), the three buttons write by the
// demo's endpoints (api.ts). Its policy is default-src 'self': no inline style or script, no other origin.
// `npm run dev --workspace demo` serves it from its sources, beside a server on port 3001; build the kit first
// (`npm run build --workspace client`).

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { language } from "./texts";
import "./styles/base.css";
import "./styles/hint.css";
import "./styles/inbox.css";
import "./styles/conversation.css";
import "./styles/messages.css";

document.documentElement.lang = language;

const root = document.getElementById("root");
if (!root) throw new Error("index.html has an element #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
