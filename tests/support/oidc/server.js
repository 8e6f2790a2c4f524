// An OpenID Connect server for tests: access tokens as JSON Web Tokens, for client credentials and one resource.
//
//     node server.js SETTINGS PORT
//
// SETTINGS is a JSON file: `keys` (private JWKs, the first signs), `audience`, `secret` of every client, and `clients`,
// which has for each id the claims that its tokens get. It is read anew on SIGHUP, which is how a server's keys are rotated. Standard output has one line when it listens,
// and one each time it has read the file anew.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const [settingsFile, port] = process.argv.slice(2);
const RESOURCE = 'urn:looma:api';

function answerer() {
  const settings = JSON.parse(readFileSync(settingsFile, 'utf8'));
  const clients = Object.entries(settings.clients).map(([id, claims]) => ({
    client_id: id,
    client_secret: settings.secret,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    ...claims,
  }));
  const resource = {
    scope: '',
    audience: settings.audience,
    accessTokenFormat: 'jwt',
    accessTokenTTL: 900,
    jwt: { sign: { alg: 'RS256' } },
  };
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients,
    extraClientMetadata: { properties: [...new Set(Object.values(settings.clients).flatMap(Object.keys))] },
    extraTokenClaims: (context, token) => settings.clients[token.clientId],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        getResourceServerInfo: () => resource,
      },
    },
    jwks: { keys: settings.keys },
  });
  return provider.callback();
}

let answer = answerer();
process.on('SIGHUP', () => {
  answer = answerer();
  console.log('read anew');
});
createServer((request, response) => answer(request, response)).listen(Number(port), '127.0.0.1', () => {
  console.log('listening');
});
