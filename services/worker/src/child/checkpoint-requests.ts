/** Whether a checkpoint has been asked for since the last one. */
export class CheckpointRequests {
  private wanted = false;

  /** Asks for one. */
  ask(): void {
    this.wanted = true;
  }

  /** True once for each time that it was asked for. */
  take(): boolean {
    const { wanted } = this;
    this.wanted = false;
    return wanted;
  }
}
