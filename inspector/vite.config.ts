import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// With the page's own Host header: the server takes what is posted from its own origin.
const server = { target: "http://127.0.0.1:3002", changeOrigin: false };

export default defineConfig({
  plugins: [react()],
  build: {
    // The page's policy is default-src 'self': nothing inline, no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api/": server },
  },
});
