// Requests that count as failed: neither an abstention nor a caller who left is a fault of ours.
export const failed =
  '{thalamus_outcome!="OK",thalamus_outcome!="NO_SUITABLE_EXPERT",thalamus_outcome!="CANCELLED"}';
