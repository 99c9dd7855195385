/** Official clients that the mesh is proven with; those in Python are in requirements.txt. */
export const VERSIONS = { openai: '7.57.0', grpcurl: '1.9.3', ghz: '0.93.0' };
