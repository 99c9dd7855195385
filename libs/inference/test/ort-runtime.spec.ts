import { OrtRuntime } from '../src/index.js';
import { runtimeContract } from './runtime-contract.js';

runtimeContract('ONNX Runtime in this process', () => new OrtRuntime());
