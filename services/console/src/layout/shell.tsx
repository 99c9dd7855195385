import {
  ActionIcon,
  AppShell,
  Badge,
  Burger,
  Button,
  Group,
  NavLink,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  IconActivity,
  IconBox,
  IconChartDots3,
  IconGitMerge,
  IconKey,
  IconLogin2,
  IconLogout,
  IconMoon,
  IconRocket,
  IconRoute,
  IconScale,
  IconServer2,
  IconSun,
} from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { mayActAs } from '../api/session.js';
import type { Role, Session } from '../api/types.js';

const PAGES: readonly { path: string; label: string; icon: typeof IconRoute; role: Role }[] = [
  { path: '/', label: 'Playground', icon: IconRoute, role: 'viewer' },
  { path: '/overview', label: 'Overview', icon: IconActivity, role: 'viewer' },
  { path: '/experts', label: 'Experts', icon: IconBox, role: 'viewer' },
  { path: '/hosts', label: 'Hosts', icon: IconServer2, role: 'viewer' },
  { path: '/router', label: 'Router', icon: IconChartDots3, role: 'viewer' },
  { path: '/compositions', label: 'Compositions', icon: IconGitMerge, role: 'viewer' },
  { path: '/releases', label: 'Releases', icon: IconRocket, role: 'viewer' },
  { path: '/keys', label: 'Keys', icon: IconKey, role: 'admin' },
  { path: '/policies', label: 'Policies', icon: IconScale, role: 'admin' },
];

interface ShellProps {
  readonly session: Session;
  readonly onSignOut: () => void;
  readonly onSignIn: () => void;
}

/** Frame of every page: navigation, who is signed in, light or dark. */
export function Shell(props: ShellProps & { readonly children: ReactNode }) {
  const [opened, { toggle, close }] = useDisclosure();
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={{ base: 'md', sm: 'lg' }}
      styles={{
        header: { background: 'var(--card)', borderColor: 'var(--line)' },
        navbar: { background: 'var(--card)', borderColor: 'var(--line)' },
      }}
    >
      <a href="#main" className="skip-link">
        Skip to content
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Navigation"
              aria-expanded={opened}
            />
            <img src="/console/mark.svg" width={26} height={26} alt="" />
            <Text fw={650} size="lg">
              Thalamus
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Badge variant="light" color="gray" tt="none" visibleFrom="sm" data-testid="identity">
              {identity(props.session)}
            </Badge>
            <SchemeSwitch />
            <KeySwitch {...props} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs">
        <Pages role={props.session.role} onGo={close} />
        <Text size="xs" className="quiet" mt="auto" p="xs" hiddenFrom="sm">
          {identity(props.session)}
        </Text>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        {props.children}
      </AppShell.Main>
    </AppShell>
  );
}

function identity({ tenant, role, key }: Session): string {
  return key === 'anonymous' ? `no key · ${role}` : `${tenant} · ${role}`;
}

function Pages({ role, onGo }: { readonly role: Role; readonly onGo: () => void }) {
  const [location] = useLocation();
  return (
    <nav aria-label="Pages">
      {PAGES.filter((page) => mayActAs(role, page.role)).map(({ path, label, icon: Icon }) => {
        const active = path === '/' ? location === '/' : location.startsWith(path);
        return (
          <NavLink
            key={path}
            component={Link}
            href={path}
            label={label}
            leftSection={<Icon size={18} stroke={1.7} />}
            active={active}
            aria-current={active ? 'page' : undefined}
            onClick={onGo}
            style={{ borderRadius: 8 }}
            mb={2}
          />
        );
      })}
    </nav>
  );
}

function KeySwitch({ session, onSignIn, onSignOut }: ShellProps) {
  if (session.key === 'anonymous')
    return (
      <Button
        size="compact-sm"
        variant="light"
        leftSection={<IconLogin2 size={16} />}
        onClick={onSignIn}
        style={{ flexShrink: 0 }}
      >
        Sign in
      </Button>
    );
  return (
    <Tooltip label="Sign out">
      <ActionIcon variant="subtle" color="gray" onClick={onSignOut} aria-label="Sign out">
        <IconLogout size={18} />
      </ActionIcon>
    </Tooltip>
  );
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const next = scheme === 'dark' ? 'light' : 'dark';
  return (
    <Tooltip label={`Switch to ${next}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`Switch to ${next}`}
        onClick={() => {
          setColorScheme(next);
        }}
      >
        {scheme === 'dark' ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}
