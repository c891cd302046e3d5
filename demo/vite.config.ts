import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = "http://127.0.0.1:3001";

export default defineConfig({
  plugins: [react()],
  build: {
    // The page's policy is default-src 'self': nothing inline, no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api": server, "/demo": server, "/socket.io": { target: server, ws: true } },
  },
});
