// A certified OpenID provider for the tests: the same software that people run, on loopback, with made-up people.
//
// node provider.js '{"port": 9000, "client": {...}, "conform": true, "keys": 1}' serves at http://localhost:PORT.
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const wanted = JSON.parse(process.argv[2]);

const PEOPLE = {
  anna: { preferred_username: "anna", name: "Anna Bell", groups: ["family"] },
  root: { preferred_username: "root", name: "Root", groups: ["admins", "family"] },
  boss: { preferred_username: "boss", name: "The Boss", groups: [] },
};

const keys = Array.from({ length: wanted.keys }, (_, place) => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: `${process.pid}-${place}` };
});

const provider = new Provider(`http://localhost:${wanted.port}`, {
  clients: [{ ...wanted.client, grant_types: ["authorization_code"], response_types: ["code"] }],
  jwks: { keys },
  claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups"] },
  conformIdTokenClaims: wanted.conform,
  cookies: { keys: ["only for tests"] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: `subject-of-${id}`, ...PEOPLE[id] }) }),
});
createServer(provider.callback()).listen(wanted.port, "127.0.0.1");
