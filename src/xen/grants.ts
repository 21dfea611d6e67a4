import type { Domain } from './domain.js';

export class GrantTable {
  readonly domain: Domain;

  constructor(domain: Domain) {
    this.domain = domain;
  }
}
