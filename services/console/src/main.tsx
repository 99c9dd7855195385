import '@mantine/core/styles.layer.css';
import './styles.css';
import { MantineProvider } from '@mantine/core';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';
import { ApiError } from './api/client.js';
import { theme } from './theme.js';

/** A key that is refused anywhere is refused everywhere: asking who is signed in leads to the sign-in page. */
function onRefusal(fault: unknown, key?: readonly unknown[]): void {
  if (fault instanceof ApiError && fault.status === 401 && key?.[0] !== 'session')
    void queries.invalidateQueries({ queryKey: ['session'] });
}

const queries = new QueryClient({
  queryCache: new QueryCache({
    onError: (fault, query) => {
      onRefusal(fault, query.queryKey);
    },
  }),
  mutationCache: new MutationCache({
    onError: (fault) => {
      onRefusal(fault);
    },
  }),
  defaultOptions: {
    queries: {
      // The gateway may be on this very machine: whether there is an internet does not matter.
      networkMode: 'always',
      retry: (count, fault) =>
        count < 1 && !(fault instanceof ApiError && fault.status >= 400 && fault.status < 500),
      staleTime: 5_000,
      refetchOnWindowFocus: true,
    },
    mutations: { networkMode: 'always' },
  },
});

const root = document.getElementById('root');
if (root)
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={queries}>
          <App />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
