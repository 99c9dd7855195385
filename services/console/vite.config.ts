import react from '@vitejs/plugin-react';
import { defineConfig, loadEnv } from 'vite';
import { compression } from 'vite-plugin-compression2';

/** The gateway serves `dist` under /console/; in development its API is reached through a proxy to THALAMUS_URL. */
export default defineConfig(({ mode }) => {
  const settings = loadEnv(mode, import.meta.dirname, 'THALAMUS_URL');
  const gateway = settings['THALAMUS_URL'] ?? 'http://127.0.0.1:8080';
  return {
    base: '/console/',
    plugins: [react(), compression({ algorithms: ['brotliCompress', 'gzip'], threshold: 1024 })],
    build: { outDir: 'dist', emptyOutDir: true, sourcemap: false, chunkSizeWarningLimit: 700 },
    server: { host: '127.0.0.1', proxy: { '/v1': gateway, '/v2': gateway, '/admin': gateway } },
  };
});
