import {
  ActionIcon,
  Anchor,
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
import { IconActivity, IconBox, IconLogout, IconMoon, IconRoute, IconSun } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import type { Session } from '../api/types.js';

const PAGES = [
  { path: '/', label: 'Playground', icon: IconRoute },
  { path: '/overview', label: 'Overview', icon: IconActivity },
  { path: '/experts', label: 'Experts', icon: IconBox },
] as const;

/** Frame of every page: navigation, who is signed in, light or dark. */
export function Shell(props: {
  readonly session: Session;
  readonly onSignOut: () => void;
  readonly onSignIn: () => void;
  readonly children: ReactNode;
}) {
  const [opened, { toggle, close }] = useDisclosure();
  const [location] = useLocation();
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding="lg"
      styles={{
        header: { background: 'var(--card)', borderColor: 'var(--line)' },
        navbar: { background: 'var(--card)', borderColor: 'var(--line)' },
      }}
    >
      <AppShell.Header>
        <Anchor href="#main" className="mantine-visually-hidden-focusable" pos="absolute" left={-9999}>
          Skip to content
        </Anchor>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <img src="/console/mark.svg" width={26} height={26} alt="" />
            <Text fw={650} size="lg">
              Thalamus
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Badge variant="light" color={props.session.role === 'admin' ? 'clay' : 'gray'} tt="none">
              {props.session.tenant} · {props.session.role}
            </Badge>
            <SchemeSwitch />
            {props.session.key !== 'anonymous' ? (
              <Tooltip label="Sign out">
                <ActionIcon variant="subtle" color="gray" onClick={props.onSignOut} aria-label="Sign out">
                  <IconLogout size={18} />
                </ActionIcon>
              </Tooltip>
            ) : (
              <Button size="compact-sm" variant="subtle" onClick={props.onSignIn}>
                Sign in
              </Button>
            )}
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs">
        <nav aria-label="Pages">
          {PAGES.map(({ path, label, icon: Icon }) => {
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
                onClick={close}
                style={{ borderRadius: 8 }}
              />
            );
          })}
        </nav>
      </AppShell.Navbar>
      <AppShell.Main id="main">{props.children}</AppShell.Main>
    </AppShell>
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
