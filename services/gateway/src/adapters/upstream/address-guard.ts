import { ThalamusError } from '@thalamus/errors';
import ipaddr from 'ipaddr.js';
import { lookup as lookupName, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

/**
 * Keeps upstream addresses to the public internet, checked after the name has been resolved and bound to the address that
 * was checked, so that a name cannot change between the two. `allowed` lists exceptions, host or host:port.
 */
export class AddressGuard {
  private readonly allowed: ReadonlySet<string>;

  constructor(allowed: readonly string[]) {
    this.allowed = new Set(allowed.map((entry) => entry.toLowerCase()));
  }

  /** @throws CONFIG_INVALID for what is no http(s) address, PERMISSION_DENIED for a literal private address */
  check(url: URL): void {
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw new ThalamusError(
        'CONFIG_INVALID',
        `The upstream address ${url.origin} must begin with http or https.`,
      );
    if (url.username !== '' || url.password !== '')
      throw new ThalamusError(
        'CONFIG_INVALID',
        `The upstream address of ${url.host} must not carry a user or password.`,
      );
    const host = bare(url.hostname);
    if (ipaddr.isValid(host) && !this.isAllowed(url.hostname, url.port) && !isPublic(host))
      throw refused(url.host);
  }

  /** A name lookup for sockets to `url` that gives public addresses only. */
  lookupFor(url: URL): LookupFunction {
    const exempt = this.isAllowed(url.hostname, url.port);
    return (hostname, options, callback) => {
      lookupName(hostname, { ...options, all: true }, (error, addresses) => {
        if (error) {
          callback(error, '', 0);
          return;
        }
        const fit = exempt ? addresses : addresses.filter(({ address }) => isPublic(address));
        const [first] = fit;
        if (!first) callback(refused(url.host), '', 0);
        else if (options.all) (callback as unknown as (e: null, a: LookupAddress[]) => void)(null, fit);
        else callback(null, first.address, first.family);
      });
    };
  }

  private isAllowed(hostname: string, port: string): boolean {
    const host = hostname.toLowerCase();
    return this.allowed.has(host) || (port !== '' && this.allowed.has(`${host}:${port}`));
  }
}

/** Not loopback, private, link-local, carrier-grade, multicast, reserved; an IPv4 address in IPv6 clothes counts as IPv4. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  return ipaddr.process(address).range() === 'unicast';
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function refused(host: string): ThalamusError {
  return new ThalamusError(
    'PERMISSION_DENIED',
    `The upstream ${host} leads to an address that is not public; list it in THALAMUS_UPSTREAM_ALLOW if that is meant.`,
    { metadata: { upstream: host } },
  );
}
