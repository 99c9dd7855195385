import { inject } from 'vitest';
import { eventBusContract } from './event-bus.contract.js';

eventBusContract('kafka', () => ({ adapter: 'kafka', brokers: inject('kafkaBrokers') }));
