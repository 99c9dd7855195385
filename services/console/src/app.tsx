import { lazy, Suspense, useState } from 'react';
import { Redirect, Route, Router, Switch } from 'wouter';
import { mayActAs, useSession } from './api/session.js';
import { Shell } from './layout/shell.js';
import { SignIn } from './layout/sign-in.js';
import { PlaygroundPage } from './pages/playground/playground-page.js';
import { Fault } from './states/fault.js';
import { Loading } from './states/loading.js';
import { NothingHere } from './states/nothing-here.js';

const OverviewPage = lazy(async () => ({
  default: (await import('./pages/overview/overview-page.js')).OverviewPage,
}));
const ExpertsPage = lazy(async () => ({
  default: (await import('./pages/experts/experts-page.js')).ExpertsPage,
}));
const HostsPage = lazy(async () => ({
  default: (await import('./pages/hosts/hosts-page.js')).HostsPage,
}));
const RouterPage = lazy(async () => ({
  default: (await import('./pages/router/router-page.js')).RouterPage,
}));
const CompositionsPage = lazy(async () => ({
  default: (await import('./pages/compositions/compositions-page.js')).CompositionsPage,
}));
const ReleasesPage = lazy(async () => ({
  default: (await import('./pages/releases/releases-page.js')).ReleasesPage,
}));
const KeysPage = lazy(async () => ({
  default: (await import('./pages/keys/keys-page.js')).KeysPage,
}));
const PoliciesPage = lazy(async () => ({
  default: (await import('./pages/policies/policies-page.js')).PoliciesPage,
}));

/** Where those are led who may not see a page. */
function Home() {
  return <Redirect to="/" replace />;
}

/** The console: who is signed in decides what is shown. */
export function App() {
  const session = useSession();
  const [changingKey, setChangingKey] = useState(false);
  if (session.kind === 'loading') return <Loading label="Asking the gateway who you are" />;
  if (session.kind === 'signed-out') return <SignIn reason={session.reason} onSignIn={session.signIn} />;
  if (session.kind === 'failed')
    return (
      <main className="alone">
        <Fault fault={session.fault} onRetry={session.retry} />
      </main>
    );
  if (changingKey)
    return (
      <SignIn
        reason=""
        onSignIn={(key) => {
          setChangingKey(false);
          session.signIn(key);
        }}
        onCancel={() => {
          setChangingKey(false);
        }}
      />
    );
  const isAdmin = mayActAs(session.session.role, 'admin');
  return (
    <Router base="/console">
      <Shell
        session={session.session}
        onSignOut={session.signOut}
        onSignIn={() => {
          setChangingKey(true);
        }}
      >
        <Suspense fallback={<Loading label="Loading the page" />}>
          <Switch>
            <Route path="/" component={PlaygroundPage} />
            <Route path="/overview" component={OverviewPage} />
            <Route path="/experts" component={ExpertsPage} />
            <Route path="/experts/:name" component={ExpertsPage} />
            <Route path="/hosts" component={HostsPage} />
            <Route path="/router" component={RouterPage} />
            <Route path="/router/:name/:version" component={RouterPage} />
            <Route path="/compositions" component={CompositionsPage} />
            <Route path="/compositions/:name/:version" component={CompositionsPage} />
            <Route path="/releases" component={ReleasesPage} />
            <Route path="/releases/:id" component={ReleasesPage} />
            <Route path="/keys" component={isAdmin ? KeysPage : Home} />
            <Route path="/policies" component={isAdmin ? PoliciesPage : Home} />
            <Route component={NothingHere} />
          </Switch>
        </Suspense>
      </Shell>
    </Router>
  );
}
