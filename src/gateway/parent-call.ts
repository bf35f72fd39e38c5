/** What of the gateway itself caused a message: the event is recorded under it, and it hears when the call has to wait. */
export interface ParentCall {
  readonly correlationId: string | undefined;
  readonly onHeld?: ((approvalId: string) => void) | undefined;
}
