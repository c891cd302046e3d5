// The scenarios, as AnyCable's public benchmark of WebSocket servers has them: what breaks, when, and from when on a client has to be whole.
//
// Each gets the contender with its servers up, the crowd that has joined, the time (ms) at which writers stop, and the options. It returns
// what broke for whom: `breaks(client)` gives for each break when it began (`at`) and from when on the time is counted (`from`).
import { now, sleep } from "./waiting.mjs";

const WARM = 2_000;
const DOWN = 1_000;
const NETWORK_GONE = 2_000;

const jitter = (how) => ({
  servers: 1,
  async run({ crowd, options, until }) {
    // The last cut is mended before the writers stop.
    await crowd.tell("jitter", { how, forMs: NETWORK_GONE, everyS: options.every, until: until - NETWORK_GONE - 500 });
    return (client) => client.cuts.map(({ at, mended }) => ({ at, from: mended }));
  },
});

export const SCENARIOS = {
  silent: { title: "network gone for 2 s, the server hears nothing", ...jitter("silent") },
  reset: { title: "network gone for 2 s, by reset", ...jitter("reset") },
  avalanche: {
    title: "the server is killed and started again a second later",
    servers: 1,
    async run({ contender }) {
      await sleep(WARM);
      const [server] = contender.servers;
      contender.meter.sample();
      const at = now();
      await server.kill();
      contender.forget(server);
      await sleep(DOWN);
      await contender.start(server.port);
      return () => [{ at, from: at }];
    },
  },
  deploy: {
    title: "two servers, stopped and started one after the other",
    servers: 2,
    async run({ contender, crowd }) {
      await sleep(WARM);
      const began = now();
      for (const server of [...contender.servers]) {
        // Whoever balances sends nobody to a server that is about to end.
        contender.forget(server);
        await crowd.tell("ports", { ports: contender.ports });
        contender.meter.sample();
        await server.terminate();
        await contender.start(server.port);
        await crowd.tell("ports", { ports: contender.ports });
        await sleep(WARM);
      }
      return (client) => client.disconnects.filter((at) => at >= began).map((at) => ({ at, from: at }));
    },
  },
};
