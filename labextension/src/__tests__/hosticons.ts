/** The host's icons need a browser; here they draw nothing. */

export class LabIcon {
  react = (): null => null;
}

const icon = new LabIcon();

export {
  icon as caretDownIcon,
  icon as caretRightIcon,
  icon as kernelIcon,
  icon as launcherIcon,
  icon as notebookIcon,
  icon as refreshIcon,
  icon as searchIcon,
  icon as settingsIcon,
  icon as terminalIcon,
  icon as undoIcon
};
